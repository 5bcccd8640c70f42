"""Print the folder of the headers."""

from plugmw.dialects.prest.include import FOLDER

print(FOLDER)
