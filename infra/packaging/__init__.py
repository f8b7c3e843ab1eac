"""The parts of `infra.package`: how the Lambda bundle and its template are made."""
