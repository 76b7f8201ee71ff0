"""What the images are made of, for those who have to know: licences, and bills of materials."""
