"""What base classes and other data sets teach about predicted errors."""
