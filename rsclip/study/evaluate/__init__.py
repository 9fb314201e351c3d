"""How good a map is: scores against labels, with intervals, tables, an error map and a page.

Nothing is imported here: masks are scored without PyTorch, which alone takes 200 MB.
"""
