"""What only makes sense in this course: superheroes and their judge, exercises, progress."""
