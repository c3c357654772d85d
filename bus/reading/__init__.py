"""Reading without joining the pipeline's groups: copies of topics, time ranges, single readers."""
