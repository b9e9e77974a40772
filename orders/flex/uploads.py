"""Uploads that are too large end here: nothing of them is kept, and the form that they came with can still be read."""

from typing import Any

from django.conf import settings
from django.core.files.uploadhandler import FileUploadHandler, SkipFile


def is_too_large(size: int) -> bool:
    """Whether a request of that many bytes carries more than a statement may be; some of it is the form's own."""
    return size > settings.FLEX_MAX_MEGABYTES * 1024 * 1024 + 64 * 1024


class LargestStatement(FileUploadHandler):
    """First among the handlers: drops what the ones behind it would keep in memory or on disk."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        if is_too_large(self.request_size):
            raise SkipFile

    def handle_raw_input(self, input_data: Any, META: Any, content_length: int, *_rest: Any, **_: Any) -> None:  # noqa: N803
        """Before anything is read."""
        self.request_size = content_length

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        return raw_data

    def file_complete(self, file_size: int) -> None:
        """The next handler has it."""
