SN_SOURCES += \
	src/server/access.c \
	src/server/admin.c src/server/admin.h \
	src/server/admin_client.c \
	src/server/batch.c \
	src/server/blocking.c src/server/blocking.h \
	src/server/channel.c src/server/channel.h \
	src/server/check.c src/server/check.h \
	src/server/child.c \
	src/server/cli.c \
	src/server/command.c src/server/command.h \
	src/server/conn.c src/server/conn_priv.h \
	src/server/context.h \
	src/server/early.c \
	src/server/exchange.c \
	src/server/exec.c \
	src/server/handover.c src/server/handover.h \
	src/server/input.c \
	src/server/iothread.c src/server/iothread.h \
	src/server/listen_adopt.c src/server/listen_tcp.c src/server/listen_unix.c \
	src/server/listener_carry.c \
	src/server/listener.c src/server/listener.h src/server/listener_priv.h \
	src/server/notify.c src/server/notify.h \
	src/server/output.c \
	src/server/package.c src/server/package.h \
	src/server/pidfile.c src/server/pidfile.h \
	src/server/print_config.c src/server/print_config.h \
	src/server/print_units.c src/server/print_units.h \
	src/server/privilege.c src/server/privilege.h \
	src/server/process.c src/server/process.h \
	src/server/recycle.c src/server/recycle.h \
	src/server/relay.c \
	src/server/reload.c \
	src/server/server.c \
	src/server/signals.c src/server/signals.h \
	src/server/scores.c src/server/scores.h \
	src/server/sink.c \
	src/server/stack.c src/server/stack.h \
	src/server/status.c src/server/status.h \
	src/server/supervisor.c src/server/supervisor.h src/server/supervisor_priv.h \
	src/server/timeout.c \
	src/server/timer.c src/server/timer.h \
	src/server/watchdog.c src/server/watchdog.h \
	src/server/upgrade.c src/server/upgrade.h \
	src/server/worker.c src/server/worker.h \
	src/server/workerproc.c
