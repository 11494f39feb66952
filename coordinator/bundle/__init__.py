"""What a run or a sweep left behind, in one file from which every figure is drawn again."""
