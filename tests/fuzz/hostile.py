"""Everything that reads what strangers may have written, with inputs to try; see hostile_bounds."""

from __future__ import annotations

from hostile_bounds import Reader
from hostile_documents import (
    choices,
    compared,
    journals,
    kept_ceilings,
    read_ceilings,
    read_choice,
    read_compared,
    read_journal,
    read_results,
    read_shown,
    results,
    shown,
)
from hostile_files import pictures, read_picture, read_weights, weights
from hostile_hosts import fleets, plans, read_fleet, read_plan
from hostile_logs import logs, read_log
from hostile_models import models, read_model
from hostile_texts import (
    batch_files,
    command_lines,
    descriptors,
    read_batch_file,
    read_descriptor,
    read_flags,
)

READERS = (
    Reader("descriptors", descriptors, read_descriptor),
    Reader("flags", command_lines, read_flags),
    Reader("batch files", batch_files, read_batch_file),
    Reader("result documents", results, read_results),
    Reader("results and journals to show", shown, read_shown),
    Reader("results to compare", compared, read_compared),
    Reader("kept ceilings", kept_ceilings, read_ceilings),
    Reader("remembered choices", choices, read_choice),
    Reader("sweep journals", journals, read_journal),
    Reader("fleets", fleets, read_fleet),
    Reader("plans of networks", plans, read_plan),
    Reader("logs", logs, read_log),
    Reader("pictures", pictures, read_picture, needs="PIL"),
    Reader("weights", weights, read_weights),
    Reader("onnx files", models, read_model, needs="onnx"),
)
