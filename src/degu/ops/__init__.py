"""Running a study: devices, logs, news, progress."""
