"""Container logs on their way to collectors: journald, syslog, fluentd, GELF."""
