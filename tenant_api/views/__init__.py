"""Views: one class for each path, one method for each operation. Rules are in identity.directory."""
