"""The page that shows two to four ways to run a network side by side, in step."""
