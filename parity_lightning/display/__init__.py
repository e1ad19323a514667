"""What people look at: tables for terminals, pictures, and their one style."""
