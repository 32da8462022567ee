"""Colours of all pictures, told apart by people with any kind of colour vision (Okabe and Ito's palette)."""

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
INK, FAINT, PALE = "#222222", "#999999", "#E2E2E2"
