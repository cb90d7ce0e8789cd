"""What every request needs: provider presets, authorization, transport, budget."""
