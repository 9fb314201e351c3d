"""Training of the bundled nano model from synthetic scenes; needs the extra `train`."""

from rsclip.model.compat import import_open_clip

import_open_clip()
