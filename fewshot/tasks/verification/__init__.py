"""Open-set verification: is this image of class c?"""
