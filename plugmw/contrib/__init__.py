"""The bundled plugins, one file each; imported when named."""
