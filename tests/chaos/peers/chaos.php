<?php
// SPDX-License-Identifier: MIT
// The chaos application's /sync for PHP-FPM.
$sent = json_decode(file_get_contents('php://input'), true);
file_put_contents($_SERVER['CHAOS_LEDGER'], $sent['n'] . ' ' . getmypid() . "\n", FILE_APPEND | LOCK_EX);
usleep($sent['n'] % 16 * 1000);
header('Content-Type: application/json');
echo json_encode(['n' => $sent['n'], 'nonce' => $sent['nonce'], 'crc' => crc32($sent['fill'])]);
