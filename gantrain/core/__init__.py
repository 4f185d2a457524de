"""The ground floor: files, text, figures, schedules, data specs, gradients, the machine; no plug-in and no config."""
