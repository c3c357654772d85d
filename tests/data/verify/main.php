<?php

require 'snippet.php';

foreach (file('php://stdin', FILE_IGNORE_NEW_LINES) as $line) {
    echo is_ours(...array_map('base64_decode', explode("\t", $line))) ? "true\n" : "false\n";
}
