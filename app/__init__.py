"""The Streamlit app: everything that knows the page, on top of the library `tokenlearner`."""
