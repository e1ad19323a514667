"""What a command says, and how it looks: one style for all subcommands, live on a terminal, plain lines elsewhere."""
