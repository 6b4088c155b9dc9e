"""All readers, by name."""

from workshop.fuzzing import label_readers, raster_readers, record_readers, weight_readers

READERS = {
    reader.name: reader
    for module in (raster_readers, label_readers, weight_readers, record_readers)
    for reader in module.READERS
}
