"""Foreign plugin contracts: each turns modules and files of another gateway into entries."""
