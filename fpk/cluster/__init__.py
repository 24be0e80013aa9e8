"""Workers: tasks handed to Dask processes on this machine, or on a cluster that is already running."""
