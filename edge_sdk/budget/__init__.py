"""Budgets (hard limits), the ledger of what was spent, and the shadow price of a budget."""
