"""From detections and announced states to sifted bits."""
