"""The engine `labels`: fronts of further objectives, exactly or within a proven share."""
