/* SPDX-License-Identifier: MIT
 *
 * Bodies lent to sinks: a large bytes or str is sent from where it lies, and
 * its reference is dropped when the sink is done, which may be on a thread that
 * must never wait for the GIL. That thread pushes the reference on a stack; a
 * thread that has the GIL empties the stack (sn_pycore_drain).
 *
 * Signaling note: nobody is woken. A reference stays at most until the next
 * answer or the runtime's next idle moment.
 */
#include "pyrt/core/core_priv.h"

#include <stdlib.h>

struct lent {
	struct lent *next;
	PyObject *owner;
};

static _Atomic(struct lent *) returned;

/* Any thread, no GIL. */
static void
give_back(void *arg)
{
	struct lent *item = arg;

	item->next = atomic_load_explicit(&returned, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&returned, &item->next, item, memory_order_release,
	                                              memory_order_relaxed))
		;
}

int
sn_answer_lend(struct sn_response *res, PyObject *owner, const void *data, size_t len)
{
	struct lent *item = malloc(sizeof(*item));

	if (!item) {
		PyErr_NoMemory();
		return -1;
	}
	item->owner = Py_NewRef(owner);
	res->ext = data;
	res->ext_len = len;
	res->done = give_back;
	res->done_arg = item;
	res->raw_body_known = true;
	return 0;
}

void
sn_pycore_drain(void)
{
	struct lent *item;

	if (sn_likely(!atomic_load_explicit(&returned, memory_order_relaxed)))
		return;
	item = atomic_exchange_explicit(&returned, NULL, memory_order_acquire);
	while (item) {
		struct lent *next = item->next;
		Py_DECREF(item->owner);
		free(item);
		item = next;
	}
}
