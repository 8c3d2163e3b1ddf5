"""What a visitor takes away: files of what is on the screen, and a link that finds it again."""
