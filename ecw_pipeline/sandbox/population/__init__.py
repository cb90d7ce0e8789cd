"""A made-up practice: any patient's chart is a function of (seed, patient number, day)."""
