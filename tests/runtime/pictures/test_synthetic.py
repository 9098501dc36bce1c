import numpy as np

from nstbatch.runtime.pictures.synthetic import photo_like


def test_a_photo_like_picture_has_the_spectrum_of_photos():
    """Power falls with the square of the frequency (Field 1987): a slope of -2 in log-log scale."""
    pictures = [photo_like(np.random.default_rng(seed), 128, 128)[1] for seed in range(20)]
    power = np.mean([np.abs(np.fft.fft2(p - p.mean())) ** 2 for p in pictures], axis=0)
    frequency = np.hypot(np.fft.fftfreq(128)[:, None], np.fft.fftfreq(128))
    middle = (frequency > 2 / 128) & (frequency < 0.25)
    slope, _ = np.polyfit(np.log(frequency[middle]), np.log(power[middle]), 1)
    assert -2.3 < slope < -1.7
