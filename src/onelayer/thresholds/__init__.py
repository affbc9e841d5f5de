"""Where to cut: a threshold found on rows that the fit had not seen."""
