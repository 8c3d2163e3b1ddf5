"""Files in Streamlit's upload widgets: which of them are new, and that their copies in memory go."""

from __future__ import annotations

from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile


def new_files(given: object) -> list[UploadedFile]:
    """The files that a widget holds and that were not taken yet.

    Until it knows that the widget is a new one, the browser sends the old one's files once more; they are gone by then.
    """
    held = given if isinstance(given, list) else [given]
    return [file for file in held if isinstance(file, UploadedFile)]


def release(file: UploadedFile) -> None:
    """Let Streamlit forget its copy of an uploaded file; it would keep it in memory for as long as the page is open.

    Who holds `file` can still read it.
    """
    context = get_script_run_ctx()
    if context is not None and isinstance(context.uploaded_file_mgr, MemoryUploadedFileManager):
        context.uploaded_file_mgr.remove_file(context.session_id, file.file_id)
