"""The images' licences and bills of materials."""
