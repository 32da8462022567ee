"""Rules: each looks at what was measured and returns a finding, or None where it has nothing to say."""
