"""The version, below everything that writes it down: documents, journals, stored choices."""

from __future__ import annotations

VERSION = "0.1.0"
