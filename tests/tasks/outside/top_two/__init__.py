"""A task of a package of its own: is the class of a query among the two that score highest?"""
