<?php

// Under PHP-FPM, or to try it: php -S 127.0.0.1:8000 receiver.php. Takes webhooks into ./inbox (INBOX), signed with
// WEBHOOK_SECRET.
require __DIR__ . '/webhooks.php';

$secret = getenv('WEBHOOK_SECRET');
$inbox = getenv('INBOX') ?: __DIR__ . '/inbox';
$done = "$inbox/done"; // a worker of yours moves a file here when it has done what there is to do
if (!is_dir($done) && !@mkdir($done, 0700, true) && !is_dir($done)) {
    http_response_code(503);
    exit;
}

$body = file_get_contents('php://input', false, null, 0, 1_000_001);
[$id, $timestamp, $signature] = array_map(
    fn ($name) => $_SERVER["HTTP_WEBHOOK_$name"] ?? '',
    ['ID', 'TIMESTAMP', 'SIGNATURE']
);
if (strlen($body) > 1_000_000) {
    http_response_code(413);
} elseif (!preg_match('/^[\w.-]{1,200}$/D', $id) || !is_ours($secret, $id, $timestamp, $signature, $body)) {
    http_response_code(401);
} else {
    // The same id is the same event: it has the same file, and one that is done stays done.
    $kept = file_exists("$done/$id");
    if (!$kept && ($file = fopen($beside = "$inbox/." . bin2hex(random_bytes(16)), 'x'))) {
        $kept = fwrite($file, $body) === strlen($body) && fsync($file) && fclose($file) && rename($beside, "$inbox/$id");
    }
    http_response_code($kept ? 204 : 503); // kept: answer, and work afterwards; else it comes again
}
