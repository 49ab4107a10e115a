"""Surviving power cuts: files written whole, SQLite files that replace themselves when damaged, steady time."""
