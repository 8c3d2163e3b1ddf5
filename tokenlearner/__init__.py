"""TokenLearner: how a Vision Transformer learns to tokenize images and videos.

The library behind the app and the command line. It never imports Streamlit, Plotly or the app;
`config`, `errors`, `flops` and `media` do without torch as well. Nothing is imported here, so that
importing one module costs that module alone.
"""

__version__ = "0.1.0"
