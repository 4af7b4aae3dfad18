"""What one can see: classic filters, a first layer and an attention map, computed on a picture.

``picture`` reads what strangers drew, ``filters`` and ``first_layer`` hold the weights, ``step``
computes one problem by a strategy, ``attention`` compares patches, ``study`` puts it together as
the panels of a sheet.
"""
