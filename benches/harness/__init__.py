"""What all figures share: places, clocks, fixtures, regreen, its rivals and the report."""
