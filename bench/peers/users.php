<?php
// SPDX-License-Identifier: MIT
// The same answer from PHP.
header('Content-Type: application/json');
$path = $_SERVER['SCRIPT_NAME'];
echo json_encode(['user_id' => (int) substr($path, strrpos($path, '/') + 1), 'name' => 'user', 'active' => true]);
