"""What runs left, read back: rows, rankings, tables, figures, and one page of HTML; nothing here imports torch."""
