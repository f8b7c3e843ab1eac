"""What a deployment needs, tried piece by piece, each with the fix for what fails."""
