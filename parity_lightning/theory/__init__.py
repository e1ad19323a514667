"""The paper's theory as functions: nothing here depends on Lightning."""
