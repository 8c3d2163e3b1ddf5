"""Trade-offs: what accuracy costs, in the paper and here, and what any design would cost."""

from pathlib import Path

import streamlit as st

from app.opening import starting

with starting():
    from app.charts import CountUnit
    from app.fragments import errors_said
    from app.text import plain
    from app.tradeoffs import bench, counting, paper
    from tokenlearner.flops import CONVENTION

PARTS = {"The paper": paper.draw, "Design bench": bench.draw, "Counting": counting.draw}

st.html(Path(__file__).parents[1] / "tradeoffs" / "tradeoffs.css")
with st.container(
    horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", key="tradeoffs-head"
):
    part = st.segmented_control(
        "Part",
        tuple(PARTS),
        default="The paper",
        required=True,
        key="part",
        bind="query-params",
        label_visibility="collapsed",
    )
    with st.container(horizontal=True, vertical_alignment="center", width="content"):
        st.caption("1 multiply-add = 1 MAC = 2 FLOPs", help=CONVENTION, width="content")
        unit: CountUnit = st.segmented_control(
            "Count",
            ("MACs", "FLOPs"),
            default="MACs",
            required=True,
            key="trade-offs counted in",
            label_visibility="collapsed",
            persist_state="session",
        )
with errors_said(), st.container(key="tradeoffs"):
    PARTS[part](unit)
    st.caption(plain(CONVENTION))
