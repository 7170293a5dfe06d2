"""Another logger: writes the names of events to a file."""

from snakemake_interface_logger_plugins.base import LogHandlerBase


class LogHandler(LogHandlerBase):
    writes_to_stream = property(lambda self: False)
    writes_to_file = property(lambda self: True)
    has_filter = property(lambda self: True)
    has_formatter = property(lambda self: True)
    needs_rulegraph = property(lambda self: False)
    baseFilename = "noted.txt"

    def emit(self, record):
        with open(self.baseFilename, "a") as file:
            file.write(f"{getattr(record, 'event', None)}\n")
