"""Training of the bundled nano model from synthetic scenes; needs the extra `train`."""

from rsclip.model.open_clip_import import import_open_clip

import_open_clip()
